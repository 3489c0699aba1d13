"""Charts for reports: figures as CSV, SVG, PNG and PDF."""
