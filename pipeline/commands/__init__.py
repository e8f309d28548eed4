"""One module a command of ``pairforge``, named after the command."""
