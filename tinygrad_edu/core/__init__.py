"""What a graph is: operations declared once, nodes that remember, one backward sweep."""
