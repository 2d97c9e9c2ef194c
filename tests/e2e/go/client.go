// Sends numbered records with fluent-logger-golang, with acks, and prints what became of them:
// {"acked": n, "failed": ["serial: why", ...]}.
//
// Argument, JSON: host, port, count, client, tag, sub_second.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/fluent/fluent-logger-golang/fluent"
)

type settings struct {
	Host      string `json:"host"`
	Port      int    `json:"port"`
	Count     int    `json:"count"`
	Client    string `json:"client"`
	Tag       string `json:"tag"`
	SubSecond bool   `json:"sub_second"`
}

func main() {
	var s settings
	if err := json.Unmarshal([]byte(os.Args[1]), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	logger, err := fluent.New(fluent.Config{
		FluentHost: s.Host, FluentPort: s.Port, RequestAck: true,
		SubSecondPrecision: s.SubSecond, Timeout: 10 * time.Second,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	acked, failed := 0, []string{}
	for i := 0; i < s.Count; i++ {
		err := logger.Post(s.Tag, map[string]interface{}{
			"client": s.Client, "serial": i, "message": fmt.Sprintf("hello %d", i),
			"level": "warn", "ratio": float64(i) + 0.5, "ok": i%2 == 0,
			"nested": map[string]interface{}{"list": []interface{}{1, "two", nil}},
		})
		if err != nil {
			failed = append(failed, fmt.Sprintf("%d: %v", i, err))
		} else {
			acked++
		}
	}
	logger.Close()
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"acked": acked, "failed": failed})
}
