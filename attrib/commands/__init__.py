"""Commands of the command line, one module each; `options` and `question` hold what several of them share."""
