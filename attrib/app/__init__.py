"""Browser app that explains one answer at a time. Only `page` and `serving` know Gradio (extra `[app]`)."""
