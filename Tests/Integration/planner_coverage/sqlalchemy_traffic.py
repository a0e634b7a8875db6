# SPDX-License-Identifier: Apache-2.0
"""What an application on SQLAlchemy asks, by psycopg and asyncpg: schema, reflection, core and ORM queries of most kinds.

Run by a Python that has SQLAlchemy, psycopg and asyncpg, with PGHOST, PGPORT, PGUSER and PGDATABASE set.
"""
import asyncio
import datetime
import decimal
import enum
import os
import uuid

from sqlalchemy import (CheckConstraint, Column, Enum, ForeignKey, Index, Integer, Interval, LargeBinary, MetaData, Numeric, Sequence, String, Table,
                        Text, all_, and_, any_, bindparam, case, cast, create_engine, delete, distinct, except_, exists, extract, false, func, inspect,
                        insert, intersect, lateral, literal, not_, null, or_, select, text, true, tuple_, type_coerce, union, union_all, update, values)
from sqlalchemy.dialects.postgresql import ARRAY as PgArray, CIDR, HSTORE, INET, INT4RANGE, JSONB, JSONPATH, TSVECTOR, UUID, aggregate_order_by, array, array_agg, distinct_on, insert as upsert
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import (DeclarativeBase, Mapped, Session, aliased, contains_eager, joinedload, load_only, mapped_column, raiseload, relationship,
                            selectinload, subqueryload, with_loader_criteria, with_polymorphic)

PLACE = f"{os.environ['PGUSER']}@{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"


class Base(DeclarativeBase):
    type_annotation_map = {dict: JSONB, list[str]: PgArray(String), decimal.Decimal: Numeric(10, 2)}


class Kind(enum.Enum):
    SMALL = 1
    LARGE = 2


class User(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), index=True)
    fullname: Mapped[str | None]
    key: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    is_active: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict] = mapped_column(default=dict)
    labels: Mapped[list[str]] = mapped_column(default=list)
    manager_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    addresses: Mapped[list["Address"]] = relationship(back_populates="user", cascade="all, delete-orphan")
    orders: Mapped[list["Order"]] = relationship(back_populates="user")
    manager: Mapped["User"] = relationship(remote_side=[id])


class Address(Base):
    __tablename__ = "address"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    user: Mapped[User] = relationship(back_populates="addresses")


order_item = Table("order_item", Base.metadata, Column("order_id", ForeignKey("orders.id"), primary_key=True), Column("item_id", ForeignKey("item.id"), primary_key=True))


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[decimal.Decimal]
    kind: Mapped[Kind]
    type: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "type", "polymorphic_identity": "item"}
    __table_args__ = (Index("item_lower", func.lower("name")), CheckConstraint("price >= 0"))


class Gadget(Item):
    __tablename__ = "gadget"
    id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
    volts: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "gadget"}


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    placed: Mapped[datetime.date]
    version = mapped_column(Integer, nullable=False)
    user: Mapped[User] = relationship(back_populates="orders")
    items: Mapped[list[Item]] = relationship(secondary=order_item)
    __mapper_args__ = {"version_id_col": version}


extra = Table("extra", Base.metadata, Column("id", Integer, Sequence("extra_seq"), primary_key=True), Column("size", Enum(Kind)), Column("span", INT4RANGE), Column("addr", INET),
              Column("net", CIDR), Column("took", Interval), Column("raw", LargeBinary), Column("search", TSVECTOR), Column("data", JSONB), Column("note", Text), Column("u", UUID))


def orm(session):
    users = [User(name=f"u{i}", fullname=f"User {i}", settings={"a": i, "b": {"c": [1]}}, labels=["x", f"l{i}"],
                  addresses=[Address(email=f"{i}.{j}@x.org") for j in range(2)]) for i in range(40)]
    session.add_all(users)
    session.flush()
    users[1].manager = users[0]
    items = [Item(name=f"i{i}", price=decimal.Decimal(i), kind=Kind.SMALL) for i in range(20)] + [Gadget(name=f"g{i}", price=1, kind=Kind.LARGE, volts=i) for i in range(5)]
    session.add_all(items)
    session.add_all([Order(user=users[i % 7], placed=datetime.date(2026, 1, 1 + i), items=items[i:i + 3]) for i in range(20)])
    session.commit()
    session.get(User, 3), session.scalars(select(User)).all(), session.query(User).filter_by(name="u3").one(), session.query(User).order_by(User.id.desc()).limit(3).all()
    manager = aliased(User)
    statements = [
        select(User).where(User.name == "u1"), select(User.id, User.name).where(User.name.like("u%"), User.id > 3),
        select(User).options(joinedload(User.addresses)).limit(3),
        select(User).options(selectinload(User.addresses), selectinload(User.orders).selectinload(Order.items)),
        select(User).options(subqueryload(User.addresses)),
        select(User).join(User.addresses).options(contains_eager(User.addresses)).where(Address.email.contains("1")),
        select(User).options(load_only(User.name), raiseload("*")), select(User, manager).join(User.manager.of_type(manager)),
        select(User).where(User.addresses.any(Address.email == "1.1@x.org")), select(Address).where(Address.user.has(name="u2")),
        select(User).where(~User.orders.any()), select(with_polymorphic(Item, [Gadget])), select(Gadget).where(Gadget.volts > 2),
        select(Item).where(Item.kind == Kind.LARGE), select(func.count(), func.max(User.id)).select_from(User),
        select(User.is_active, func.count(distinct(User.name))).group_by(User.is_active).having(func.count() > 1),
        select(Order).where(Order.placed.between(datetime.date(2026, 1, 1), datetime.date(2026, 1, 9))),
        select(extract("month", Order.placed), func.count()).group_by(text("1")), select(User).where(User.id.in_([1, 2, 3])),
        select(User).where(User.id.not_in(select(Order.user_id))), select(User).where(tuple_(User.id, User.name).in_([(1, "u0"), (2, "u1")])),
        select(User).where(User.settings["a"].astext == "3"), select(User).where(User.settings["b"]["c"][0].as_integer() == 1),
        select(User).where(User.settings.contains({"a": 3})), select(User).where(User.settings.has_key("a")),
        select(User).where(User.labels.contains(["x"])), select(User).where(User.labels.any("l3")), select(func.unnest(User.labels)),
        select(User).where(User.settings.path_exists(literal("$.b", JSONPATH))), select(func.jsonb_build_object("a", User.id, "b", User.name)),
        select(func.jsonb_agg(User.settings)), select(User.name, func.row_number().over(partition_by=User.is_active, order_by=User.id)),
        select(func.sum(Item.price).over(order_by=Item.id, rows=(-2, 0))),
        select(func.lag(Item.price, 1).over(order_by=Item.id), func.ntile(4).over(order_by=Item.price)),
        select(func.array_agg(aggregate_order_by(User.name, User.id.desc()))), select(func.percentile_cont(0.5).within_group(Item.price)),
        select(func.count().filter(Item.price > 3)), select(case((Item.price < 5, "low"), else_="high"), func.count()).group_by(text("1")),
        select(cast(Item.price, Integer), type_coerce(Item.name, String), literal("x").label("c"), null(), true(), false()),
        select(func.coalesce(User.fullname, User.name), func.lower(User.name)),
        select(func.date_trunc("month", Order.placed), func.now(), func.current_date()), select(func.string_agg(User.name, ",")),
        select(func.concat(User.name, "x"), User.name + "y", func.length(User.name)), union(select(User.id), select(Item.id)),
        union_all(select(User.name), select(Item.name)).order_by("name").limit(3), intersect(select(User.id), select(Item.id)),
        except_(select(User.id), select(Order.user_id)), select(User).ext(distinct_on(User.is_active)).order_by(User.is_active, User.id),
        select(User).with_for_update(skip_locked=True).limit(1),
        select(User).where(and_(or_(User.id > 3, User.name == "x"), not_(User.is_active.is_(False)), User.fullname.is_not(None))),
        select(User).order_by(User.fullname.desc().nulls_last()).offset(3), select(exists().where(User.id == 3)),
        select(select(func.count(Address.id)).where(Address.user_id == User.id).scalar_subquery(), User.id),
        select(User).where(User.id == any_(array([1, 2]))),
        select(User).where(User.id > all_(select(Order.user_id).where(Order.id < 0).scalar_subquery())), select(func.generate_series(1, 5)),
        select(User.name.ilike("U%"), User.name.regexp_match("^u")), select(User).options(with_loader_criteria(Address, Address.id > 3)),
        select(values(Column("a", Integer), Column("b", String), name="v").data([(1, "x"), (2, "y")])),
    ]
    top = select(Order.user_id, func.count().label("n")).group_by(Order.user_id).cte("top")
    statements.append(select(User.name, top.c.n).join(top, top.c.user_id == User.id))
    tree = select(User.id, User.manager_id).where(User.manager_id.is_(None)).cte("tree", recursive=True)
    statements.append(select(tree.union_all(select(User.id, User.manager_id).join(tree, User.manager_id == tree.c.id))))
    last = lateral(select(Order.placed).where(Order.user_id == User.id).order_by(Order.placed.desc()).limit(1))
    statements.append(select(User.name, last.c.placed).join(last, true()))
    for statement in statements:
        try:
            try:
                session.execute(statement).all()
            except InvalidRequestError:
                # Rows that joins have multiplied have to be made unique.
                session.execute(statement).unique().all()
        except Exception as error:
            raise SystemExit(f"{error!r}: {statement}"[:500]) from error
    session.execute(update(User).where(User.id > 30).values(fullname=User.name + "!"))
    session.execute(update(User).where(User.id == 3).values(settings=func.jsonb_set(User.settings, cast(["a"], PgArray(Text)), literal(5, JSONB))).returning(User.id))
    session.execute(delete(Address).where(Address.user_id == 39))
    session.execute(update(Item).where(Item.id == Gadget.id).values(price=2), execution_options={"synchronize_session": False})
    session.execute(insert(User).returning(User.id, sort_by_parameter_order=True), [{"name": f"bulk{i}"} for i in range(30)])
    session.execute(update(User), [{"id": 1, "fullname": "A"}, {"id": 2, "fullname": "B"}])
    session.execute(upsert(Address).values(email="0.0@x.org", user_id=1).on_conflict_do_update(index_elements=["email"], set_={"user_id": 2}))
    session.execute(upsert(Address).values([{"email": "q@x.org", "user_id": 1}]).on_conflict_do_nothing().returning(Address.id))
    session.execute(upsert(Address).from_select(["email", "user_id"], select(User.name, User.id).where(User.id < 3)).on_conflict_do_nothing())
    for user in session.scalars(select(User).where(User.id < 8)):
        user.fullname = f"changed {user.id}"
        len(user.orders), len(user.addresses)
    session.commit()
    with session.begin_nested():
        session.delete(session.get(User, 12))
    order = session.get(Order, 3)
    order.placed = datetime.date(2026, 2, 2)
    order.items.pop()
    session.commit()
    session.refresh(order)
    session.scalars(select(User).execution_options(yield_per=10)).all()
    session.rollback()


def core(connection):
    connection.execute(extra.insert(), [{"size": Kind.SMALL, "data": {"i": i}, "note": f"n{i}", "addr": "10.0.0.1", "net": "10.0.0.0/8", "took": datetime.timedelta(hours=1)} for i in range(20)])
    connection.execute(extra.insert().values(size=Kind.LARGE, search=func.to_tsvector("english", "a fat cat")).returning(extra.c.id))
    connection.execute(select(extra).where(extra.c.search.op("@@")(func.to_tsquery("english", "cat")))).all()
    connection.execute(select(extra).where(extra.c.size == Kind.SMALL, extra.c.addr == cast("10.0.0.1", INET))).all()
    connection.execute(select(func.avg(extra.c.took), func.bool_or(extra.c.note.is_(None)))).all()
    connection.execute(extra.update().where(extra.c.id == bindparam("which")).values(note=bindparam("text")), [{"which": i, "text": "t"} for i in range(5)])
    connection.execute(extra.delete().where(extra.c.id.in_(select(func.max(extra.c.id)))))
    connection.execute(text("select count(*) from extra where note like :what"), {"what": "n%"}).scalar()
    connection.execute(select(array_agg(extra.c.note)))
    connection.execute(select(extra.c.id).where(extra.c.data["i"].astext.cast(Integer) > 3).order_by(extra.c.id.desc()).fetch(3)).all()
    connection.commit()
    found = inspect(connection)
    for table in found.get_table_names():
        for what in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints", "table_comment"):
            getattr(found, f"get_{what}")(table)
    found.get_enums(), found.get_view_names(), found.get_sequence_names(), found.get_schema_names(), found.has_table("item"), found.get_multi_columns()
    MetaData().reflect(connection)


async def by_asyncpg():
    engine = create_async_engine(f"postgresql+asyncpg://{PLACE}")
    async with AsyncSession(engine) as session:
        await session.run_sync(orm)
    async with engine.connect() as connection:
        await connection.run_sync(core)
    await engine.dispose()


psycopg = create_engine(f"postgresql+psycopg://{PLACE}")
Base.metadata.drop_all(psycopg)
Base.metadata.create_all(psycopg)
with Session(psycopg) as one:
    orm(one)
with psycopg.connect() as one:
    core(one)
Base.metadata.drop_all(psycopg)
Base.metadata.create_all(psycopg)
asyncio.run(by_asyncpg())
assert HSTORE
