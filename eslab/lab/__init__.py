"""The lab: charts, widgets, exercises, and the runner that executes every notebook."""
