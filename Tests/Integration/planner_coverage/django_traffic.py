# SPDX-License-Identifier: Apache-2.0
"""What an application on Django asks: migrations, ORM queries of most kinds, sessions, permissions and admin pages.

Run by a Python that has Django and psycopg, with PGHOST, PGPORT, PGUSER and PGDATABASE set.
"""
import datetime
import decimal
import os
import sys
import types

import django
from django.conf import settings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
settings.configure(
    DEBUG=False, SITE_ID=1, SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls_of_it", USE_TZ=True, STATIC_URL="/static/", LOGGING_CONFIG=None,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
                           "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}},
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages",
                    "django.contrib.postgres", "django.contrib.flatpages", "django.contrib.sites", "django.contrib.redirects", "shop"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}],
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.postgres.aggregates import ArrayAgg, BoolAnd, StringAgg  # noqa: E402
from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.paginator import Paginator  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import (Avg, Case, Count, Exists, ExpressionWrapper, F, Max, Min, OuterRef, Prefetch, Q, StdDev, Subquery, Sum, Value,  # noqa: E402
                              When, Window)
from django.db.models.functions import (Abs, Cast, Coalesce, Concat, ConcatPair, DenseRank, ExtractYear, FirstValue, Greatest, Lag, Lead, Left,  # noqa: E402
                                        Length, Lower, LPad, Now, NthValue, Ntile, NullIf, Rank, Replace, Round, RowNumber, Substr, Trim, TruncDay,
                                        TruncMonth, Upper)
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

from shop.models import Author, Book, Publisher, Review, Special, Tag  # noqa: E402


class BookAdmin(admin.ModelAdmin):
    list_display = ["title", "publisher", "price"]
    list_filter = ["publisher", "is_sold"]
    search_fields = ["title", "publisher__name"]
    date_hierarchy = "published"


for model in (Publisher, Author, Review):
    admin.site.register(model)
admin.site.register(Book, BookAdmin)
module = types.ModuleType("urls_of_it")
module.urlpatterns = [path("admin/", admin.site.urls)]
sys.modules["urls_of_it"] = module

call_command("migrate", verbosity=0)
with connection.schema_editor() as editor:
    for model in (Publisher, Author, Tag, Book, Review, Special):
        editor.create_model(model)
with connection.schema_editor() as editor:
    field = models.CharField(max_length=10, default="x", null=True)
    field.set_attributes_from_name("extra")
    editor.add_field(Publisher, field)
    editor.remove_field(Publisher, field)
connection.introspection.table_names()
with connection.cursor() as cursor:
    for table in ("shop_book", "auth_user"):
        connection.introspection.get_table_description(cursor, table)
        connection.introspection.get_constraints(cursor, table)
        connection.introspection.get_sequences(cursor, table)
        connection.introspection.get_relations(cursor, table)

now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
publishers = Publisher.objects.bulk_create([Publisher(name=f"p{i}", founded=datetime.date(1900 + i, 1, 1)) for i in range(10)])
authors = Author.objects.bulk_create([Author(name=f"a{i}", email=f"a{i}@x.org", age=20 + i) for i in range(30)])
tags = [Tag.objects.create(label=f"t{i}") for i in range(8)]
books = Book.objects.bulk_create([
    Book(title=f"b{i}", publisher=publishers[i % 10], price=decimal.Decimal(i), rating=i / 7, pages=i, published=now + datetime.timedelta(days=i),
         data={"kind": "x", "n": i, "deep": {"a": [1, 2]}}, words=["a", f"w{i}"], span=(i, i + 5), length=datetime.timedelta(hours=i), address="10.0.0.1")
    for i in range(200)], batch_size=50)
for book in books[:40]:
    book.authors.add(*authors[book.pages % 20:book.pages % 20 + 3])
    book.tags.set(tags[:3])
authors[0].friends.add(authors[1], authors[2])
user = User.objects.create_superuser("root", "r@x.org", "secret")
clerk = User.objects.create_user("clerk", password="secret")
group = Group.objects.create(name="staff")
group.permissions.set(Permission.objects.filter(codename__startswith="add")[:5])
clerk.groups.add(group)
clerk.has_perm("auth.add_user"), clerk.get_all_permissions(), list(Permission.objects.select_related("content_type"))
Review.objects.bulk_create([Review(book=book, writer=user, stars=i % 5, text="good " * i) for i, book in enumerate(books[:60])])
Special.objects.create(title="s", publisher=publishers[0], price=3, note="n")

B = Book.objects
queries = [
    B.all(), B.filter(pk=5), B.filter(title="b5"), B.exclude(title__startswith="b1"), B.filter(title__icontains="B"), B.filter(title__iexact="B7"),
    B.filter(title__regex="^b[0-9]"), B.filter(title__iregex="^B"), B.filter(title__endswith="3"), B.filter(pk__in=[1, 2, 3]),
    B.filter(price__range=(1, 50)), B.filter(published__year=2026), B.filter(published__date=now.date()),
    B.filter(published__month=2, published__day__gt=3), B.filter(published__week_day=2), B.filter(published__hour=0), B.filter(publisher__name="p3"),
    B.filter(publisher__isnull=False, span__isnull=True), B.filter(authors__name__in=["a1", "a2"]).distinct(),
    B.filter(Q(price__lt=5) | Q(rating__gt=7) & ~Q(is_sold=True)), B.filter(price__gt=F("pages") - 3), B.order_by("-price", "?")[:3],
    B.order_by(F("rating").desc(nulls_last=True)), B.select_related("publisher"),
    B.prefetch_related("authors", "tags", Prefetch("reviews", Review.objects.filter(stars__gt=2).select_related("writer"))),
    B.values("publisher").annotate(n=Count("id"), top=Max("price"), low=Min("price"), mean=Avg("rating"), dev=StdDev("price"), total=Sum(F("price") * F("pages"), output_field=models.DecimalField())),
    B.values("publisher__name").annotate(n=Count("authors", distinct=True)).filter(n__gt=1).order_by("-n"), B.values_list("title", flat=True)[10:20],
    B.annotate(n=Count("reviews", filter=Q(reviews__stars__gte=3))).filter(n__gte=1),
    B.annotate(has=Exists(Review.objects.filter(book=OuterRef("pk"), stars=1))),
    B.annotate(last=Subquery(Review.objects.filter(book=OuterRef("pk")).order_by("-created").values("text")[:1])),
    B.filter(~Exists(Review.objects.filter(book=OuterRef("pk")))),
    B.annotate(band=Case(When(price__lt=10, then=Value("cheap")), When(price__lt=Value(100), then=Value("fair")), default=Value("dear"))).values("band").annotate(n=Count("pk")),
    B.annotate(low=Lower("title"), up=Upper("title"), size=Length("title"), both=Concat("title", Value(" "), "publisher__name")),
    B.annotate(x=Coalesce("rating", Value(0.0)) + 1), B.annotate(day=TruncDay("published")).values("day").annotate(n=Count("pk")),
    B.annotate(m=TruncMonth("published"), y=ExtractYear("published")).values("m", "y").distinct(),
    B.annotate(c=Cast("price", models.IntegerField()), t=Cast("pages", models.TextField())),
    B.annotate(g=Greatest("pages", Value(7)), a=Abs("pages"), r=Round("price")),
    B.annotate(s=Substr("title", 1, 2), l=Left("title", 1), p=LPad("title", 9, Value("_")), t=Trim("title"), r=Replace("title", Value("b"), Value("c")), z=NullIf("pages", Value(1))),
    B.annotate(rank=Window(Rank(), partition_by="publisher", order_by=F("price").desc()), n=Window(RowNumber(), order_by="id"), d=Window(DenseRank(), order_by="pages")),
    B.annotate(prev=Window(Lag("price", 1), order_by="id"), next=Window(Lead("price"), order_by="id"), f=Window(FirstValue("price"), order_by="id"), q=Window(Ntile(4), order_by="id")),
    B.annotate(third=Window(NthValue("title", 3), order_by="id"), run=Window(Sum("price"), order_by=F("id").asc())).filter(pk__lt=50),
    B.annotate(old=ExpressionWrapper(Now() - F("published"), output_field=models.DurationField())).filter(old__gt=datetime.timedelta(days=1)),
    B.filter(data__kind="x"), B.filter(data__deep__a__0=1), B.filter(data__has_key="n"), B.filter(data__contains={"n": 3}), B.filter(data__n__gt=5),
    B.order_by("data__n"), B.filter(data__has_any_keys=["n", "m"]), B.values("data__kind").annotate(n=Count("pk")), B.filter(words__contains=["a"]),
    B.filter(words__overlap=["w1", "w2"]), B.filter(words__len=2), B.filter(words__0="a"), B.filter(span__contains=7), B.filter(span__overlap=(1, 4)),
    B.filter(span__startswith__gt=3), B.filter(length__gt=datetime.timedelta(1)),
    B.annotate(v=SearchVector("title", "publisher__name")).filter(v="b5"),
    B.annotate(r=SearchRank(SearchVector("title"), SearchQuery("b5"))).order_by("-r")[:5],
    B.values("publisher").annotate(names=ArrayAgg("title", ordering="title"), text=StringAgg("title", delimiter=", "), all_sold=BoolAnd("is_sold")),
    B.filter(pk__lt=5).union(B.filter(pk__gt=190)).order_by("title"), B.filter(pk__lt=9).intersection(B.filter(pk__gt=3)),
    B.filter(pk__lt=9).difference(B.filter(pk=3)), B.distinct("publisher").order_by("publisher", "-price"), B.defer("data", "raw"), B.only("title"),
    B.dates("published", "month"), B.datetimes("published", "hour"),
    Author.objects.filter(books__publisher__name="p1", books__price__gt=3).annotate(n=Count("books")), Author.objects.filter(friends__name="a1"),
    B.none(), Author.objects.annotate(n=Count("books__reviews"), best=Max("books__reviews__stars")).order_by("-best", "name")[:10],
    Special.objects.select_related("publisher"),
    Review.objects.filter(book__publisher__founded__year__lt=1905).select_related("book__publisher", "writer"), B.reverse()[:2],
    B.filter(address="10.0.0.1"), B.annotate(pair=ConcatPair("title", Value("x"))), B.filter(tags__label__in=["t1"]).filter(tags__label="t2"),
    Tag.objects.filter(key=tags[0].key), B.alias(n=Count("authors")).filter(n=3),
    B.filter(publisher__in=Publisher.objects.filter(name__startswith="p")), B.extra(where=["price > %s"], params=[3]),
]
for query in queries:
    try:
        list(query)
    except Exception as error:
        sys.exit(f"{error!r}: {query.query}"[:500])
for query in queries[:40]:
    query.exists(), query.count()
B.aggregate(Sum("price"), Avg("pages"), n=Count("*"), d=Count("publisher", distinct=True), top=Max("published"))
B.first(), B.last(), B.earliest("published"), B.latest("published"), B.in_bulk([1, 2]), B.get(pk=3), B.filter(pk=3).explain(), B.count()
B.filter(pk__lt=10).update(price=F("price") + 1, is_sold=Case(When(pages__gt=3, then=True), default=False)), B.filter(publisher__name="p1").update(rating=1.5)
B.filter(pk=4).update(data={"a": None}, words=["q"]), B.filter(reviews__stars=1).update(pages=F("pages") * 2)
for book in B.filter(pk__lt=20):
    book.pages += 1
    book.rating = 3.5
    book.save()
    book.refresh_from_db()
    book.save(update_fields=["pages"])
B.bulk_update(list(B.all()[:20]), ["price", "title", "published"])
Publisher.objects.get_or_create(name="p1"), Publisher.objects.get_or_create(name="new"), Publisher.objects.update_or_create(name="p2", defaults={"founded": now.date()})
Publisher.objects.bulk_create([Publisher(name="p1"), Publisher(name="p77")], ignore_conflicts=True)
Publisher.objects.bulk_create([Publisher(name="p1", founded=now.date())], update_conflicts=True, unique_fields=["name"], update_fields=["founded"])
for number in range(3):
    try:
        with transaction.atomic():
            list(B.select_for_update(skip_locked=True, of=("self",)).filter(pk=number))
            with transaction.atomic():
                Publisher.objects.create(name="p3")
    except IntegrityError:
        pass
list(B.all().iterator(chunk_size=50)), list(B.raw("select * from shop_book where price > %s limit 3", [3]))
with connection.cursor() as cursor:
    cursor.execute("select count(*), current_date from shop_book where title like %s", ["b%"])
    cursor.executemany("update shop_author set age = %s where id = %s", [(1, 1), (2, 2)])
Paginator(B.all(), 20).page(2).object_list.count()
books[0].authors.remove(authors[0]), books[1].authors.clear(), books[2].tags.through.objects.count(), authors[3].books.filter(pages__gt=3).count()
browser = Client()
browser.force_login(user)
for page in ("/admin/", "/admin/shop/book/", "/admin/shop/book/?q=b1+p", "/admin/shop/book/?publisher__id__exact=3&o=-3.1", "/admin/shop/book/?published__year=2026",
             "/admin/shop/book/5/change/", "/admin/shop/book/add/", "/admin/auth/user/", f"/admin/auth/user/{clerk.pk}/change/", "/admin/shop/book/5/history/",
             "/admin/shop/author/3/delete/", "/admin/auth/group/add/", "/admin/shop/book/?all="):
    browser.get(page)
browser.post("/admin/shop/author/add/", {"name": "new", "email": "", "age": "3", "friends": []})
browser.post(f"/admin/shop/author/{authors[5].pk}/delete/", {"post": "yes"})
browser.post("/admin/shop/book/", {"action": "delete_selected", "_selected_action": [7, 8], "post": "yes"})
session = browser.session
session["cart"] = [1, 2]
session.save()
browser.logout()
Client().post("/admin/login/", {"username": "clerk", "password": "secret"})
Review.objects.filter(stars=0).delete(), Publisher.objects.get(name="p5").delete(), B.filter(pk__in=[50, 51]).delete(), Special.objects.all().delete()
call_command("clearsessions"), call_command("check", verbosity=0), call_command("inspectdb", "shop_book", stdout=open(os.devnull, "w", encoding="utf-8"))
