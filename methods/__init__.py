"""Attribution methods, one file each; registered by entry point."""
