"""A made-up company to look at the pages with: three systems, a month of history, something that is broken today."""
