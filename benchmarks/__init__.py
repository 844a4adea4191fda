"""One script per figure that the README quotes: prints a table, appends JSON lines."""
