"""Notices when something in a namespace begins or ends to need attention."""
