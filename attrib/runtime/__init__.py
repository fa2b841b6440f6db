"""Files, parsing, memory and progress: how attrib deals with the machine that it runs on."""
