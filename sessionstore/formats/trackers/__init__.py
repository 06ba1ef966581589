"""Experiment trackers read as files: MLflow (folders and SQLite), signac projects, Sacred's folders.

    mlflow          a store of MLflow      mlflow_folders, mlflow_database    where its runs are
    signac, sacred  their folders          run                                what all runs have

None of their libraries is needed.
Not here: making sessions (formats.importing), what a second import adds (formats.adding).
"""
