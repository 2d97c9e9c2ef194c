// Sends records with fluent-logger-golang in its modes.
//
//	client corpus FILE   sends the corpus (client_corpus.py) through many loggers at once, and prints
//	                     for each run's id {"acked": n, "failed": ["number: why", ...]}
//	client stream FILE   sends numbered records until a line comes on standard input; prints lines of
//	                     JSON: {"acked": n}, and at the end {"done": {id: {"sent": n}}}
//
// FILE, JSON: host, port, corpus (the file's path), runs: id (the tag's prefix), async, ack,
// sub_second, json, kind ("map", "struct" or "marshaler"), labels, take, retries, reconnect (ms; a
// new connection after so long).
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fluent/fluent-logger-golang/fluent"
	"github.com/tinylib/msgp/msgp"
)

const timeS = 1700000000 // of record 0; clients.py knows it too

type run struct {
	ID        string   `json:"id"`
	Async     bool     `json:"async"`
	Ack       bool     `json:"ack"`
	SubSecond bool     `json:"sub_second"`
	JSON      bool     `json:"json"`
	Kind      string   `json:"kind"`
	Labels    []string `json:"labels"`
	Take      int      `json:"take"`
	Retries   int      `json:"retries"`
	Reconnect int      `json:"reconnect"`
}

type settings struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Corpus string `json:"corpus"`
	Runs   []run  `json:"runs"`
}

type entry struct {
	number int
	fields map[string]interface{}
}

// A record that encodes itself.
type marshaler map[string]interface{}

func (m marshaler) MarshalMsg(b []byte) ([]byte, error) {
	return msgp.AppendMapStrIntf(b, m)
}

// A record as a struct; what is not exported is not sent.
type structRecord struct {
	Message string `msg:"message"`
	Level   string `codec:"level"`
	Run     string `msg:"run"`
	Number  int    `msg:"number"`
	Plain   float32
	Nested  map[string]interface{} `msg:"nested"`
	Short   int8                   `msg:"short"`
	Long    uint64                 `msg:"long"`
	hidden  string
}

func die(what interface{}) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}

func say(what interface{}) {
	if err := json.NewEncoder(os.Stdout).Encode(what); err != nil {
		die(err)
	}
}

func read(path string, ret interface{}) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, ret)
	}
	if err != nil {
		die(err)
	}
}

func integer(text string) interface{} {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return v
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		die(err)
	}
	return v
}

func float(text string) float64 {
	switch text {
	case "nan":
		return math.NaN()
	case "inf":
		return math.Inf(1)
	case "-inf":
		return math.Inf(-1)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		die(err)
	}
	return v
}

func value(typed interface{}) interface{} {
	for kind, v := range typed.(map[string]interface{}) {
		switch kind {
		case "n":
			return nil
		case "i":
			return integer(v.(string))
		case "f":
			return float(v.(string))
		case "x":
			raw, err := base64.StdEncoding.DecodeString(v.(string))
			if err != nil {
				die(err)
			}
			return raw
		case "d":
			return time.UnixMilli(int64(v.(float64))).UTC()
		case "a":
			list := []interface{}{}
			for _, one := range v.([]interface{}) {
				list = append(list, value(one))
			}
			return list
		case "m":
			pairs := map[string]interface{}{}
			for _, pair := range v.([]interface{}) {
				p := pair.([]interface{})
				pairs[p[0].(string)] = value(p[1])
			}
			return pairs
		default:
			return v
		}
	}
	return nil
}

func corpus(path string) []entry {
	var list [][]interface{}
	read(path, &list)
	entries := []entry{}
	for _, one := range list {
		entries = append(entries, entry{int(one[0].(float64)),
			value(one[1]).(map[string]interface{})})
	}
	return entries
}

func (r *run) record(e entry) interface{} {
	if r.Kind == "struct" {
		return structRecord{Message: "a struct", Level: "warn", Run: r.ID, Number: e.number,
			Plain: 1.5, Nested: map[string]interface{}{"a": []interface{}{int16(-300), "b"}},
			Short: -7, Long: math.MaxUint64, hidden: "not sent"}
	}
	fields := map[string]interface{}{"run": r.ID, "number": e.number}
	for k, v := range e.fields {
		fields[k] = v
	}
	if r.Kind == "marshaler" {
		return marshaler(fields)
	}
	return fields
}

func (r *run) open(s *settings, results func([]byte, error)) (*fluent.Fluent, error) {
	return fluent.New(fluent.Config{
		FluentHost: s.Host, FluentPort: s.Port, TagPrefix: r.ID, Timeout: 10 * time.Second,
		Async: r.Async, AsyncResultCallback: results, RequestAck: r.Ack,
		SubSecondPrecision: r.SubSecond, MarshalAsJSON: r.JSON, MaxRetry: r.Retries, RetryWait: 50,
		MaxRetryWait: 200, AsyncReconnectInterval: r.Reconnect,
	})
}

func moment(number int) time.Time {
	return time.Unix(int64(timeS+number), int64((7*number+1)*1000000+number))
}

type result struct {
	Acked  int      `json:"acked"`
	Failed []string `json:"failed"`
}

func (r *run) send(s *settings, entries []entry) result {
	done := result{Failed: []string{}}
	note := func(what string, err error) {
		if err != nil {
			done.Failed = append(done.Failed, what+": "+err.Error())
		} else {
			done.Acked++
		}
	}
	// From the logger's own goroutine, and only from it where Async is on.
	logger, err := r.open(s, func(_ []byte, err error) { note("async", err) })
	if err != nil {
		note("open", err)
		return done
	}
	if r.Take > 0 {
		entries = entries[:r.Take]
	}
	refused := []string{}
	for i, e := range entries {
		err := logger.PostWithTime(r.Labels[i%len(r.Labels)], moment(e.number), r.record(e))
		if !r.Async {
			note(strconv.Itoa(e.number), err)
		} else if err != nil {
			refused = append(refused, fmt.Sprintf("%d: %v", e.number, err))
		}
	}
	if err := logger.Close(); err != nil {
		refused = append(refused, "close: "+err.Error())
	}
	done.Failed = append(done.Failed, refused...)
	return done
}

func (r *run) stream(s *settings, stop *atomic.Value, acked *int64) int {
	logger, err := r.open(s, nil)
	if err != nil {
		die(err)
	}
	sent := 0
	for ; stop.Load() == nil; sent++ {
		record := map[string]interface{}{"run": r.ID, "number": sent,
			"message": fmt.Sprintf("hello %d", sent)}
		if err := logger.PostWithTime("s", moment(sent%100), record); err != nil {
			die(err)
		}
		if n := atomic.AddInt64(acked, 1); n%50 == 0 {
			say(map[string]int64{"acked": n})
		}
	}
	logger.Close()
	return sent
}

func main() {
	var s settings
	read(os.Args[2], &s)
	done := map[string]interface{}{}
	var mutex sync.Mutex
	var wait sync.WaitGroup
	var stop atomic.Value
	var acked int64
	var entries []entry
	streaming := os.Args[1] == "stream"
	if streaming {
		go func() {
			os.Stdin.Read(make([]byte, 1))
			stop.Store(true)
		}()
	} else {
		entries = corpus(s.Corpus)
	}
	for i := range s.Runs {
		r := &s.Runs[i]
		wait.Add(1)
		go func() {
			defer wait.Done()
			var what interface{}
			if streaming {
				what = map[string]int{"sent": r.stream(&s, &stop, &acked)}
			} else {
				what = r.send(&s, entries)
			}
			mutex.Lock()
			done[r.ID] = what
			mutex.Unlock()
		}()
	}
	wait.Wait()
	if streaming {
		say(map[string]interface{}{"done": done})
	} else {
		say(done)
	}
}
