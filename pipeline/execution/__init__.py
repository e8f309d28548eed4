"""The run: Ray graph, progress, heartbeat, interruption, logs, trackers and metrics."""
