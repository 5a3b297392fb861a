"""JupyterLab for the lessons (`make lab`): no news, no search for updates, nothing fetched from the network."""

c = get_config()  # noqa: F821 - Jupyter puts it there
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
