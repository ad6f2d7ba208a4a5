"""report.html: tables, figures, clips and every run behind a number, in one file that needs no network."""
