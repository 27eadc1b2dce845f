"""What a graph is: operations declared once, nodes that remember how they were made, one backward sweep."""
