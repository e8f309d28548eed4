"""The command line: dispatch, help, completion and output formats."""
