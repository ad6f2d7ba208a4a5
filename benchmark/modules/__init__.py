"""What several plug-ins share, each in the file named for it: networks, losses, and splits that are held in memory."""
