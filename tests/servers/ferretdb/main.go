// SPDX-License-Identifier: Apache-2.0
// ferretdb runs FerretDB 1.24 on an SQLite folder: the poorest server that
// gridmount promises to work with, for the second run of the mount tests.
//
// FerretDB's own command cannot be installed with `go install` (it needs a
// version file that only its release build writes), so this embeds the library.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	state := flag.String("state", "", "folder for the SQLite databases")
	flag.Parse()
	if *state == "" {
		log.Fatal("ferretdb: --state DIR is missing")
	}
	folder, err := filepath.Abs(*state)
	if err != nil {
		log.Fatal(err)
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: *listen},
		Handler:   "sqlite",
		SQLiteURL: "file:" + folder + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
