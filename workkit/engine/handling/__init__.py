"""One execution of a job: handlers, middleware, hooks, and the resulting fate."""
