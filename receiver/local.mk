# receiver: the stage that speaks with clients (sluice-receiver).
