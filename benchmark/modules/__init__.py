"""Networks and losses that several methods or probes share, each in the file named for it."""
