"""Random schedules of faults and kills, and a judge of what each leaves: see CONTRIBUTING.md."""
