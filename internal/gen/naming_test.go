package gen

import "testing"

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"Name":            "name",
		"BlogPost":        "blog_post",
		"UserID":          "user_id",
		"ID":              "id",
		"IDs":             "ids",
		"UserIDs":         "user_ids",
		"UserIDsByName":   "user_ids_by_name",
		"URLs":            "urls",
		"HTTPPort":        "http_port",
		"HTTPServer":      "http_server",
		"ServeHTTP":       "serve_http",
		"OAuth2Token":     "oauth2_token",
		"OAuth":           "oauth",
		"MyOAuthToken":    "my_oauth_token",
		"GitHubID":        "github_id",
		"IPv4Addr":        "ipv4_addr",
		"IPValue":         "ip_value",
		"MySQLHost":       "mysql_host",
		"SQLiteFile":      "sqlite_file",
		"Line2":           "line2",
		"Line2Text":       "line2_text",
		"Line1ID":         "line1_id",
		"SHA256":          "sha256",
		"SHA256Sum":       "sha256_sum",
		"Sha256sum":       "sha256sum",
		"MD5Hash":         "md5_hash",
		"B2B":             "b2b",
		"P2PHost":         "p2p_host",
		"Is3D":            "is3d",
		"Model3DView":     "model3d_view",
		"X":               "x",
		"XAxis":           "x_axis",
		"XY":              "xy",
		"AsOf":            "as_of",
		"ItIsX":           "it_is_x",
		"Foo_Bar":         "foo_bar",
		"Foo__Bar_":       "foo_bar",
		"Foo_1":           "foo_1",
		"Größe":           "größe",
		"ÄußereFarbe":     "äußere_farbe",
		"hidden":          "hidden",
		"hiddenPost":      "hidden_post",
		"_":               "",
		"A1B2C3":          "a1b2c3",
		"名前":              "名前",
		"Version10Beta":   "version10_beta",
		"PostgreSQLTable": "postgresql_table",
	} {
		if got := Snake(name); got != want {
			t.Errorf("Snake(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for name, want := range map[string]string{
		"Album": "Albums", "BlogPost": "BlogPosts", "City": "Cities", "Day": "Days", "Key": "Keys", "Y": "Ys",
		"Box": "Boxes", "Bus": "Buses", "Waltz": "Waltzes", "Church": "Churches", "Dish": "Dishes", "Path": "Paths",
		"DNS": "DNSes", "API": "APIs", "Person": "Persons", "hidden": "hiddens",
	} {
		if got := Plural(name); got != want {
			t.Errorf("Plural(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestUnexported(t *testing.T) {
	for name, want := range map[string]string{
		"Album": "album", "BlogPost": "blogPost", "URLEntry": "urlEntry", "HTTP": "http", "OAuthToken": "oauthToken",
		"hidden": "hidden", "_Odd": "_odd", "__": "__", "Ähre": "ähre", "IDs": "ids",
	} {
		if got := unexported(name); got != want {
			t.Errorf("unexported(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestGuessName(t *testing.T) {
	for path, want := range map[string]string{
		"time": "time", "encoding/json": "json", rootPath: "ankurah", "example.com/a/b": "b",
		"example.com/a/v2": "a", "gopkg.in/yaml.v3": "yaml", "v2": "v2", "example.com/a.vx": "a.vx",
	} {
		if got := guessName(path); got != want {
			t.Errorf("guessName(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ have, want, diff string }{
		{"a\nb\n", "a\nb\n", ""},
		{"a\nb\nc\n", "a\nx\ny\nc\n", "--- f:2, as it is\n+++ as generated\n-b\n+x\n+y\n"},
		{"", "a\n", "--- f:1, as it is\n+++ as generated\n+a\n"},
		{"a\na\n", "a\n", "--- f:2, as it is\n+++ as generated\n-a\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n", "", "--- f:1, as it is\n+++ as generated\n-1\n-2\n-3\n-4\n-5\n-6\n-7\n-8\n-9\n-10\n-11\n-12\n- … 2 more lines\n"},
	} {
		if got := Diff("f", []byte(c.have), []byte(c.want)); got != c.diff {
			t.Errorf("%q to %q:\n%s", c.have, c.want, got)
		}
	}
}
