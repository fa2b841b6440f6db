"""The report of a finished run: one page that opens without a server, and what is too large for it beside it."""
