# shipper: the stage that delivers (sluice-shipper).
