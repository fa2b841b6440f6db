"""Pages of the documentation site that are made from the code when it is built."""
