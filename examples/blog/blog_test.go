package blog_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/blog/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// open returns a session on a new node that holds nothing, and what closes the
// node.
func open(ctx context.Context) (*ankurah.Session, func()) {
	eng := memory.New()
	node, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	check(err)
	check(node.EnsureSystem(ctx))
	return node.Session(policy.Principal{Subject: "alice"}), func() {
		check(node.Close())
		check(eng.Close())
	}
}

// openBlog is open with five posts.
func openBlog(ctx context.Context) (*ankurah.Session, func()) {
	meta := func(readers int, city string) ankurah.JSON {
		return ankurah.MustJSON(map[string]any{"readers": readers, "written": map[string]any{"city": city}})
	}
	s, done := open(ctx)
	check(s.Update(ctx, func(tx *ankurah.Tx) error {
		_, err := model.BlogPosts.CreateMany(tx, []*model.BlogPost{
			{Title: "Getting Started", Author: "Alice", Published: true, Tags: []string{"tutorial", "rust"}, Meta: meta(120, "Oslo")},
			{Title: "Getting Further", Author: "Alice", Published: true, Tags: []string{"go"}, Meta: meta(80, "Oslo")},
			{Title: "Unfinished", Author: "Alice", Tags: []string{"rust"}},
			{Title: "Live Queries", Author: "Bob", Published: true, Tags: []string{"rust", "go"}, Meta: meta(300, "Lima")},
			{Title: "100% Offline", Author: "Carol", Published: true},
		})
		return err
	}))
	return s, done
}

// check keeps the examples short. A program handles its errors.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// show prints the titles that a query selects.
func show(ctx context.Context, s *ankurah.Session, query string, args ...any) {
	posts, err := model.BlogPosts.Fetch(ctx, s, query, args...)
	check(err)
	for _, post := range posts {
		fmt.Println(post.Title())
	}
}

// A reader waits for what Alice publishes about Rust. A draft is not that yet,
// so that publishing it brings it in, and another title only updates it.
func Example() {
	ctx := context.Background()
	s, done := open(ctx)
	defer done()

	q, err := model.BlogPosts.Query(ctx, s, "published = true AND author = 'Alice' AND tags CONTAINS 'rust'")
	check(err)
	defer q.Close()
	news := make(chan string)
	defer q.OnChange(func(cs ankurah.ChangeSet[model.BlogPostView]) {
		for c := range cs.Added() {
			news <- "new: " + c.After.Title()
		}
		for c := range cs.Updated() {
			news <- "edited: " + c.After.Title()
		}
	})()

	var post *model.BlogPostMutable
	check(s.Update(ctx, func(tx *ankurah.Tx) (err error) {
		post, err = model.BlogPosts.Create(tx, &model.BlogPost{
			Title:   "Getting Started with Ankurah",
			Content: "Ankurah makes distributed state management easy...",
			Author:  "Alice",
			Tags:    []string{"tutorial", "rust"},
		})
		return err
	}))
	fmt.Println("drafts:", len(q.Rows()))

	edit := func(change func(*model.BlogPostMutable) error) {
		check(s.Update(ctx, func(tx *ankurah.Tx) error {
			m, err := model.BlogPosts.Edit(tx, post)
			if err != nil {
				return err
			}
			return change(m)
		}))
	}
	edit(func(m *model.BlogPostMutable) error { return m.Published.Set(true) })
	fmt.Println(<-news)
	edit(func(m *model.BlogPostMutable) error { return m.Title.Set("Updated: " + m.Title.Get()) })
	fmt.Println(<-news)

	view, err := model.BlogPosts.Get(ctx, s, post)
	check(err)
	fmt.Println(view.Author(), view.Published(), view.Tags())
	// Output:
	// drafts: 0
	// new: Getting Started with Ankurah
	// edited: Updated: Getting Started with Ankurah
	// Alice true [tutorial rust]
}

// Predicates are joined by AND, OR and NOT. A bool needs no comparison.
func Example_predicates() {
	ctx := context.Background()
	s, done := openBlog(ctx)
	defer done()

	show(ctx, s, "published = true AND author = 'Alice' AND tags CONTAINS 'rust'")
	fmt.Println("--")
	show(ctx, s, "NOT published OR author = ? ORDER BY title", "Bob")
	// Output:
	// Getting Started
	// --
	// Live Queries
	// Unfinished
}

// In a pattern % stands for any text and _ for any character; a backslash
// takes that from them. ILIKE does not care about case.
func Example_like() {
	ctx := context.Background()
	s, done := openBlog(ctx)
	defer done()

	show(ctx, s, "title LIKE 'Getting%' ORDER BY title")
	fmt.Println("--")
	show(ctx, s, "title ILIKE '%QUERIES'")
	fmt.Println("--")
	show(ctx, s, "title LIKE ?", `%\%%`)
	// Output:
	// Getting Further
	// Getting Started
	// --
	// Live Queries
	// --
	// 100% Offline
}

// A slice is one parameter. Parameters have a place or a name.
func Example_in() {
	ctx := context.Background()
	s, done := openBlog(ctx)
	defer done()

	show(ctx, s, "author IN ? ORDER BY title", []string{"Bob", "Carol"})
	fmt.Println("--")
	show(ctx, s, "author NOT IN (:first, :second) AND published ORDER BY title",
		ankurah.Named{Name: "first", Value: "Bob"}, ankurah.Named{Name: "second", Value: "Carol"})
	fmt.Println("--")
	show(ctx, s, "author IN ?", []string{}) // nobody
	// Output:
	// 100% Offline
	// Live Queries
	// --
	// Getting Further
	// Getting Started
	// --
}

// A path leads into JSON. What is not there is null, so that a comparison with
// it selects nothing, IS NULL finds it, and it is the greatest in ORDER BY.
func Example_jsonPath() {
	ctx := context.Background()
	s, done := openBlog(ctx)
	defer done()

	show(ctx, s, "meta.readers >= 100 AND meta.written.city = ?", "Lima")
	fmt.Println("--")
	show(ctx, s, "meta.readers IS NULL ORDER BY title")
	fmt.Println("--")
	post, err := model.BlogPosts.First(ctx, s, "ORDER BY meta.readers DESC NULLS LAST")
	check(err)
	fmt.Println(post.Meta().Get("written", "city"), post.Meta())
	// Output:
	// Live Queries
	// --
	// 100% Offline
	// Unfinished
	// --
	// Lima {"readers":300,"written":{"city":"Lima"}}
}

// Rows are ordered by as many keys as it takes.
func Example_orderBy() {
	ctx := context.Background()
	s, done := openBlog(ctx)
	defer done()

	show(ctx, s, "published ORDER BY author DESC, title LIMIT 3")
	// Output:
	// 100% Offline
	// Live Queries
	// Getting Further
}

// A query that the model does not know is refused before it reads anything.
func Example_mistake() {
	ctx := context.Background()
	s, done := openBlog(ctx)
	defer done()

	_, err := model.BlogPosts.Fetch(ctx, s, "auhtor = 'Alice'")
	fmt.Println(errors.Is(err, ankurah.ErrQuery))
	fmt.Println(err)
	_, err = model.BlogPosts.Fetch(ctx, s, "published = ? AND author = ?", true)
	fmt.Println(err)
	// Output:
	// true
	// ankurah: line 1, column 1: unknown field "auhtor" of blog_post: did you mean "author"?
	// ankurah: line 1, column 28: parameter 2: no value was given for it
}
