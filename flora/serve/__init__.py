"""Where product folders are to be served to a browser: the floor between products and the command line, empty yet."""
