package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/server"
)

func Example() {
	dir, err := os.MkdirTemp("", "akin")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := index.Open(dir, index.StoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Create("colours", index.Config{Dimension: 3, Metric: index.L2}); err != nil {
		log.Fatal(err)
	}
	s, err := server.New(server.Options{Store: store, Default: "colours"})
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()

	send := func(method, path, body string) {
		req, err := http.NewRequest(method, "http://"+ln.Addr().String()+path, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(regexp.MustCompile(`,"time":.*`).ReplaceAllString(string(answer), ""))
	}
	send("PUT", "/collections/colours/points", `{"points":[{"id":"sky","vector":[0,1,1],"label":"blue"},{"id":"grass","vector":[1,1,0]}]}`)
	send("POST", "/search", `{"query":[1,1,0.5],"limit":1}`)
	send("POST", "/search", `{"query":[1,1]}`)
	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"result":{"status":"completed","points":2},"status":"ok"
	// {"result":{"points":[{"id":"grass","score":0.5,"payload":null,"label":""}],"model_id":""},"status":"ok"
	// {"status":{"error":"vector of 2 components: wrong dimension: want 3"}
}
