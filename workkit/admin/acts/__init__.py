"""Who did what: acts are recorded before they happen, and read and verified later."""
