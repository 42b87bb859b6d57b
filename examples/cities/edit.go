package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/cities/model"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// edit is the editing process: it does what lines of its input say.
//
//	confirmed N   counts N visitors and waits for the server's word
//	here N        counts N visitors; the server may be away
//	settle        waits until the server has decided on everything
//	refused N     counts N visitors, which the server refuses
func edit(ctx context.Context) (err error) {
	eng := memory.New()
	n, err := ankurah.OpenNode(ctx, eng, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close(), eng.Close()) }()
	conn, s, err := connect(ctx, n, *server, "editor")
	if err != nil {
		return err
	}
	defer conn.Close()
	cities, err := model.Cities.Query(ctx, s, liveQuery)
	if err == nil {
		err = cities.WaitSynced(ctx)
	}
	if err != nil {
		return err
	}
	defer cities.Close()
	fmt.Println("ready")
	next := 0
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		verb, number, _ := strings.Cut(orders.Text(), " ")
		visitors, _ := strconv.ParseInt(number, 10, 64)
		rows := cities.Rows()
		city := rows[next%len(rows)]
		next++
		count := func(tx *ankurah.Tx) error {
			m, err := model.Cities.Edit(tx, city)
			if err != nil {
				return err
			}
			at := time.Now().UnixMicro()
			return errors.Join(m.Visitors.Set(visitors), m.EditedAt.Set(at))
		}
		begun := time.Now()
		answer := ""
		switch verb {
		case "confirmed":
			err = s.UpdateConfirmed(ctx, count)
			answer = fmt.Sprintf("%s %d %d", city.ID(), visitors, time.Since(begun).Microseconds())
		case "here":
			err = s.Update(ctx, count)
			answer = fmt.Sprintf("%s %d %d", city.ID(), visitors, time.Since(begun).Microseconds())
		case "settle":
			err = n.Settle(ctx)
			answer = "settled"
		case "refused":
			answer, err = refused(ctx, s, city, count)
		}
		if err != nil {
			return err
		}
		fmt.Println(answer)
	}
	return nil
}

// refused makes an edit that the server refuses, and says what could be seen of
// it.
func refused(ctx context.Context, s *ankurah.Session, city model.CityView, count func(*ankurah.Tx) error) (string, error) {
	visitors := func() string {
		v, err := model.Cities.Get(ctx, s.Local(), city)
		if err != nil {
			return err.Error()
		}
		if n, ok := v.Visitors(); ok {
			return strconv.FormatInt(n, 10)
		}
		return "none"
	}
	before := visitors()
	tx := s.Begin()
	if err := errors.Join(count(tx), tx.Commit(ctx)); err != nil {
		return "", err
	}
	seen := visitors()
	var no *ankurah.RejectedError
	if err := tx.Confirmed(ctx); !errors.As(err, &no) || !errors.Is(err, ankurah.ErrDenied) {
		return "", fmt.Errorf("ankurah: the server did not refuse: %w", err)
	}
	return fmt.Sprintf("%s: %s visitors, %s after the edit, %s after the server's word: %s", city.Name(), before, seen, visitors(), no.Reason), nil
}
