"""What the cloud and the data centre say to each other.

Standard library only: both sides import it, and it imports neither.
``events`` holds the values, ``codec`` their form on the wire, ``rpc`` the
calls, ``topics`` the names on the bus.
"""
