# processor: the stage that turns chunks into journal frames (sluice-processor).
