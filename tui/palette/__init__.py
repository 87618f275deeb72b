"""All commands by name: what the keys do, places, themes, forms, stores, results and jobs."""
