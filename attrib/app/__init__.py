"""The live app: one answer explained in a browser. Only `page` and `serving` know Gradio (extra `[app]`)."""
