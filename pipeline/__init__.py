"""The command line, the plan, the Ray graph, commit and resume, the packed dataset and its report."""
