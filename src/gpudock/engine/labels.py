"""The labels that gpudock puts on images and containers. Whoever reads one treats it as a claim: any user of an engine
can write any label.
"""

ENV = "gpudock.env"  # name of the environment
OWNER = "gpudock.owner"  # name of the user who made it
OWNER_UID = "gpudock.owner.uid"  # that user's real uid on the host, in decimal
PROJECT = "gpudock.project"  # absolute path of the folder on the host
LOCK = "gpudock.lock"  # hash of the lock that the image was built from
SERVICES = "gpudock.services"  # JSON: [{"name": "jupyter", "port": 8888, "host_port": 8888}]
GPUS = "gpudock.gpus"  # CDI names of the GPUs that it was given: 0,1
