"""What measures. Each prints a table, compares side by side in one run, and fails nothing on a time."""
