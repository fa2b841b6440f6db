"""The commands of the command line, one a file, and in `shared` what they have in common."""
