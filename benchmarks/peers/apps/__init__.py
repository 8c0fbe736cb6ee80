"""The app of each library; only the environment of a library imports its module."""
