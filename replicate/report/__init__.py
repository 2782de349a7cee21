"""Tables, figures and the page: views of networks, claims, records and verdicts. They compute nothing of their own."""
