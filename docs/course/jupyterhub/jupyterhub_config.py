# JupyterHub for a class: one container for each student, all from one image that has the built prelude.
# docs/course/jupyterhub.md says how to start it and how large the machine has to be.
import os
import sys

c = get_config()  # noqa: F821, JupyterHub defines it

# Who may come in. This asks each student for a name and all for one password, which is enough for a class that is not
# graded; for grades take the login of your institution (OAuthenticator, LTI).
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["ITD_HUB_PASSWORD"]
c.SharedPasswordAuthenticator.admin_password = os.environ["ITD_HUB_ADMIN_PASSWORD"]
c.Authenticator.admin_users = {"teacher"}
c.Authenticator.allow_all = True

# One image. Program and prelude are in it and are only read, so a container holds no more of its own than the
# student's files, and all containers of a machine share the prelude's pages in memory.
c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = "itd-hub"
c.DockerSpawner.remove = True
c.DockerSpawner.network_name = "itd"
c.DockerSpawner.notebook_dir = "/home/reader"
# A student's files outlive the container. Docker fills a new volume with what the image has there: the notebooks.
c.DockerSpawner.volumes = {"itd-{username}": "/home/reader"}
c.JupyterHub.hub_connect_ip = os.environ.get("ITD_HUB_NAME", "hub")
c.JupyterHub.hub_ip = "0.0.0.0"

# The limits of a student: the server and the kernels together. A kernel that wants more is ended, and says so.
c.DockerSpawner.mem_limit = "2G"
c.DockerSpawner.cpu_limit = 2
# The first start of a day copies nothing, but 200 at once queue for the processors.
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 120
c.JupyterHub.concurrent_spawn_limit = 20

# Servers with nobody before them end after an hour.
c.JupyterHub.load_roles = [
    {
        "name": "cull",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["cull"],
    }
]
c.JupyterHub.services = [
    {
        "name": "cull",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600", "--cull-every=300"],
    }
]
