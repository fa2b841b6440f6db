"""HTML report of a finished run: one page that opens without a server, and a folder of files too large for it."""
