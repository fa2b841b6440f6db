"""What a finished run hands in: figures for papers, a report of two pages, a notebook."""
