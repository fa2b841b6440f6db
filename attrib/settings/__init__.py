"""Settings of a benchmark run as a user names them: files, shipped names, plug-ins and the output directory."""
