"""What is read of a namespace: the `Reader` that all instruments read through, and a live one."""
