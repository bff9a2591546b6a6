"""One module for each subcommand of `gimefive`, imported when it is called. May import everything."""
