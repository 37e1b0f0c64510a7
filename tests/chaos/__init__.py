"""The chaos run: real agents under load, while faults strike at random.

``load`` submits, ``faults`` strikes, ``witnesses`` watch the bus and the
disk, and afterwards ``laws`` compares what each of them tells with what the
journal says. ``world`` has the processes, ``run`` the order of things.
"""
