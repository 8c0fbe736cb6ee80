"""The pure parts: jobs, records, options, text, time and chance; nothing here knows Redis."""
